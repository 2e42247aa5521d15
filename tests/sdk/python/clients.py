"""A tool's round trip in a stream, as the official SDK of each dialect makes it: a question, the call that the model answers
with, the tool's result, and the words that the model makes of it. Each returns these words and how many tokens came in
and went out; `root` is what stands before the version in every path."""

import json
import os

import anthropic
import boto3
import cohere
from botocore.config import Config
from google import genai
from google.genai import types
from openai import OpenAI

from providers import ARGUMENTS, AWS_ID, DESCRIPTION, QUESTION, RESULT, SCHEMA, TOOL, aws_key

FUNCTION = {"name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}


def chat(root: str, key: str, model: str):
    messages = [{"role": "user", "content": QUESTION}]
    with OpenAI(base_url=f"{root}/v1", api_key=key, max_retries=0, timeout=60) as client:

        def ask():
            tools = [{"type": "function", "function": FUNCTION}]
            with client.chat.completions.stream(
                model=model, messages=messages, tools=tools, stream_options={"include_usage": True}
            ) as stream:
                return stream.get_final_completion()

        message = ask().choices[0].message
        (call,) = message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == (TOOL, ARGUMENTS)
        messages.append(message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": RESULT})
        for made in messages[1]["tool_calls"]:
            made["function"].pop("parsed_arguments", None)
            made.pop("index", None)
        answer = ask()
    assert answer.choices[0].finish_reason == "stop"
    return answer.choices[0].message.content, (answer.usage.prompt_tokens, answer.usage.completion_tokens)


def responses(root: str, key: str, model: str):
    items = [{"role": "user", "content": QUESTION}]
    with OpenAI(base_url=f"{root}/v1", api_key=key, max_retries=0, timeout=60) as client:

        def ask():
            tools = [{"type": "function", "strict": False, **FUNCTION}]
            with client.responses.stream(model=model, input=items, tools=tools, store=False) as stream:
                return stream.get_final_response()

        answer = ask()
        (call,) = [item for item in answer.output if item.type == "function_call"]
        assert (call.name, json.loads(call.arguments)) == (TOOL, ARGUMENTS)
        items += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": RESULT})
        answer = ask()
    return answer.output_text, (answer.usage.input_tokens, answer.usage.output_tokens)


def messages(root: str, key: str, model: str):
    turns = [{"role": "user", "content": QUESTION}]
    with anthropic.Anthropic(base_url=root, api_key=key, max_retries=0, timeout=60) as client:

        def ask():
            tools = [{"name": TOOL, "description": DESCRIPTION, "input_schema": SCHEMA}]
            with client.messages.stream(model=model, max_tokens=500, messages=turns, tools=tools) as stream:
                return stream.get_final_message()

        answer = ask()
        assert answer.stop_reason == "tool_use"
        (call,) = [block for block in answer.content if block.type == "tool_use"]
        assert (call.name, call.input) == (TOOL, ARGUMENTS)
        turns.append({"role": "assistant", "content": answer.content})
        turns.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": RESULT}]})
        answer = ask()
    assert answer.stop_reason == "end_turn"
    words = "".join(block.text for block in answer.content if block.type == "text")
    return words, (answer.usage.input_tokens, answer.usage.output_tokens)


def google(root: str, key: str, model: str):
    options = types.HttpOptions(base_url=root, timeout=60_000, retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key=key, vertexai=False, http_options=options)
    declaration = types.FunctionDeclaration(name=TOOL, description=DESCRIPTION, parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declaration])], max_output_tokens=500
    )
    contents = [types.Content(role="user", parts=[types.Part(text=QUESTION)])]

    def ask():
        pieces = list(client.models.generate_content_stream(model=model, contents=contents, config=config))
        parts = [part for piece in pieces for part in (piece.candidates[0].content or types.Content()).parts or []]
        assert [piece.candidates[0].finish_reason for piece in pieces if piece.candidates[0].finish_reason] == ["STOP"]
        return parts, pieces[-1].usage_metadata

    parts, _ = ask()
    (call,) = [part.function_call for part in parts if part.function_call]
    assert (call.name, call.args) == (TOOL, ARGUMENTS)
    contents.append(types.Content(role="model", parts=parts))
    result = types.FunctionResponse(id=call.id, name=call.name, response={"result": RESULT})
    contents.append(types.Content(role="user", parts=[types.Part(function_response=result)]))
    parts, usage = ask()
    words = "".join(part.text for part in parts if part.text and not part.thought)
    return words, (usage.prompt_token_count, usage.candidates_token_count)


def bedrock(root: str, key: str, model: str):
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key
    try:
        # It sends a token over TLS only. The gateway of the tests has none: it is taken away as the request leaves.
        secure = root.replace("http://", "https://")
        client = boto3.Session(region_name="eu-west-1").client("bedrock-runtime", endpoint_url=secure, config=AWS)
        client.meta.events.register("before-send.bedrock-runtime.*", take_tls_away)
        return converse(client, model)
    finally:
        del os.environ["AWS_BEARER_TOKEN_BEDROCK"]


def take_tls_away(request, **_):
    request.url = request.url.replace("https://", "http://", 1)


def bedrock_signed(root: str, _: str, model: str):
    session = boto3.Session(AWS_ID, aws_key(), region_name="eu-west-1")
    return converse(session.client("bedrock-runtime", endpoint_url=root, config=AWS), model)


AWS = Config(retries={"total_max_attempts": 1}, read_timeout=60)


def converse(client, model: str):
    tools = [{"toolSpec": {"name": TOOL, "description": DESCRIPTION, "inputSchema": {"json": SCHEMA}}}]
    turns = [{"role": "user", "content": [{"text": QUESTION}]}]

    def ask():
        answer = client.converse_stream(
            modelId=model, messages=turns, toolConfig={"tools": tools}, inferenceConfig={"maxTokens": 500}
        )
        blocks, usage = {}, None
        for event in answer["stream"]:
            ((name, event),) = event.items()
            if name == "contentBlockStart":
                blocks[event["contentBlockIndex"]] = {"toolUse": {**event["start"]["toolUse"], "input": ""}}
            elif name == "contentBlockDelta":
                delta = event["delta"]
                block = blocks.setdefault(event["contentBlockIndex"], {"text": ""} if "text" in delta else {})
                if "text" in delta:
                    block["text"] += delta["text"]
                elif "toolUse" in delta:
                    block["toolUse"]["input"] += delta["toolUse"]["input"]
                elif "redactedContent" in delta["reasoningContent"]:
                    block["reasoningContent"] = delta["reasoningContent"]
                else:
                    thought = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
                    for field, text in delta["reasoningContent"].items():
                        thought[field] = thought.get(field, "") + text
            elif name == "messageStop":
                reason = event["stopReason"]
            elif name == "metadata":
                usage = event["usage"]
        for block in blocks.values():
            if "toolUse" in block:
                block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
        return list(blocks.values()), reason, usage

    blocks, reason, _ = ask()
    assert reason == "tool_use"
    (call,) = [block["toolUse"] for block in blocks if "toolUse" in block]
    assert (call["name"], call["input"]) == (TOOL, ARGUMENTS)
    turns.append({"role": "assistant", "content": blocks})
    result = {"toolUseId": call["toolUseId"], "content": [{"text": RESULT}], "status": "success"}
    turns.append({"role": "user", "content": [{"toolResult": result}]})
    blocks, reason, usage = ask()
    assert reason == "end_turn"
    return "".join(block.get("text", "") for block in blocks), (usage["inputTokens"], usage["outputTokens"])


def cohere_chat(root: str, key: str, model: str):
    client = cohere.ClientV2(api_key=key, base_url=root, timeout=60)
    turns = [{"role": "user", "content": QUESTION}]

    def ask():
        words, calls, end = "", [], None
        for event in client.chat_stream(
            model=model,
            messages=turns,
            tools=[{"type": "function", "function": FUNCTION}],
            max_tokens=500,
            request_options={"max_retries": 0},
        ):
            if event.type == "content-delta":
                words += event.delta.message.content.text or ""
            elif event.type == "tool-call-start":
                call = event.delta.message.tool_calls
                calls.append({"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": ""}})
            elif event.type == "tool-call-delta":
                calls[-1]["function"]["arguments"] += event.delta.message.tool_calls.function.arguments
            elif event.type == "message-end":
                end = event.delta
        return words, calls, end

    _, calls, end = ask()
    assert end.finish_reason == "TOOL_CALL"
    (call,) = calls
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (TOOL, ARGUMENTS)
    turns.append({"role": "assistant", "tool_calls": calls})
    turns.append({"role": "tool", "tool_call_id": call["id"], "content": RESULT})
    words, calls, end = ask()
    assert (end.finish_reason, calls) == ("COMPLETE", [])
    return words, (int(end.usage.tokens.input_tokens), int(end.usage.tokens.output_tokens))


# Every SDK by the dialect that it speaks.
CLIENTS = {
    "chat": chat,
    "responses": responses,
    "anthropic": messages,
    "gemini": google,
    "bedrock": bedrock,
    "bedrock, signed": bedrock_signed,
    "cohere": cohere_chat,
}
