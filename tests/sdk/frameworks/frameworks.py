"""A tool's round trip in a stream, as frameworks on top of the SDKs make it: each returns the words at its end. `root` is
what stands before the version in every path."""

from langchain_anthropic import ChatAnthropic
from langchain_aws import ChatBedrockConverse
from langchain_cohere import ChatCohere
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.bedrock_converse import BedrockConverse
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.openai_like import OpenAILike

from providers import ARGUMENTS, AWS_ID, DESCRIPTION, KNOWN_NAMES, QUESTION, RESULT, SCHEMA, TOOL, aws_key


def langchain(model, stream=True):
    """A round trip with a chat model of LangChain's."""
    parameters = {"title": TOOL, "description": DESCRIPTION, **SCHEMA}
    model = model.bind_tools([parameters])
    messages = [HumanMessage(QUESTION)]

    def ask():
        if not stream:
            return model.invoke(messages)
        pieces = list(model.stream(messages))
        whole = pieces[0]
        for piece in pieces[1:]:
            whole += piece
        return whole

    answer = ask()
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == (TOOL, ARGUMENTS)
    messages += [answer, ToolMessage(RESULT, tool_call_id=call["id"], name=call["name"])]
    return ask().text


def llama_index(model):
    """A round trip with a function-calling model of LlamaIndex's."""

    def get_weather(city: str) -> str:
        return RESULT

    tool = FunctionTool.from_defaults(get_weather, name=TOOL, description=DESCRIPTION)
    history = [ChatMessage(QUESTION, role=MessageRole.USER)]

    def ask():
        answer = None
        for answer in model.stream_chat_with_tools([tool], chat_history=history):
            pass
        return answer

    answer = ask()
    (call,) = model.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == (TOOL, ARGUMENTS)
    result = {"tool_call_id": call.tool_id, "name": call.tool_name}
    history += [answer.message, ChatMessage(RESULT, role=MessageRole.TOOL, additional_kwargs=result)]
    return ask().message.content


def langchain_openai(root: str, key: str, model: str):
    return langchain(ChatOpenAI(base_url=f"{root}/v1", api_key=key, model=model, max_retries=0))


def langchain_responses(root: str, key: str, model: str):
    return langchain(
        ChatOpenAI(base_url=f"{root}/v1", api_key=key, model=model, max_retries=0, use_responses_api=True)
    )


def langchain_anthropic(root: str, key: str, model: str):
    return langchain(ChatAnthropic(base_url=root, api_key=key, model=model, max_tokens=500, max_retries=0))


def langchain_google(root: str, key: str, model: str):
    return langchain(ChatGoogleGenerativeAI(base_url=root, api_key=key, model=model, max_retries=1, vertexai=False))


def langchain_aws(root: str, _: str, model: str):
    return langchain(
        ChatBedrockConverse(
            endpoint_url=root,
            model=model,
            provider="anthropic",
            region_name="eu-west-1",
            aws_access_key_id=AWS_ID,
            aws_secret_access_key=aws_key(),
        )
    )


def langchain_cohere(root: str, key: str, model: str):
    # Not as a stream: in one, it gives every piece of a call an id of its own.
    return langchain(ChatCohere(base_url=root, cohere_api_key=key, model=model), stream=False)


def llama_openai(root: str, key: str, model: str):
    return llama_index(
        OpenAILike(
            api_base=f"{root}/v1",
            api_key=key,
            model=model,
            max_retries=0,
            is_chat_model=True,
            is_function_calling_model=True,
        )
    )


def known_name(model: str) -> str:
    """The name of a model that LlamaIndex knows, and so is ready to ask for."""
    return KNOWN_NAMES.get(model.split("/")[0], model)


def llama_anthropic(root: str, key: str, model: str):
    model = known_name(model)
    return llama_index(Anthropic(base_url=root, api_key=key, model=model, max_tokens=500, max_retries=0))


def llama_google(root: str, key: str, model: str):
    options = {"base_url": root}
    return llama_index(
        GoogleGenAI(model=model, api_key=key, http_options=options, context_window=100_000, max_tokens=500)
    )


def llama_aws(root: str, _: str, model: str):
    model = f"anthropic.{known_name(model)}-v1:0"
    return llama_index(
        BedrockConverse(
            model=model,
            endpoint_url=root,
            region_name="eu-west-1",
            aws_access_key_id=AWS_ID,
            aws_secret_access_key=aws_key(),
            max_tokens=500,
            max_retries=1,
        )
    )


# Every framework's model by the dialect that it speaks.
FRAMEWORKS = {
    "langchain, chat": langchain_openai,
    "langchain, responses": langchain_responses,
    "langchain, anthropic": langchain_anthropic,
    "langchain, gemini": langchain_google,
    "langchain, bedrock": langchain_aws,
    "langchain, cohere": langchain_cohere,
    "llama-index, chat": llama_openai,
    "llama-index, anthropic": llama_anthropic,
    "llama-index, gemini": llama_google,
    "llama-index, bedrock": llama_aws,
}
