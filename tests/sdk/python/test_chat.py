"""Chat: whole, streamed, asynchronous, with tools, schemas and images."""

import asyncio
import json

import pytest
from pydantic import BaseModel

from upstream import Answer, chunk, completion

QUESTION = [{"role": "user", "content": "What is a gateway good for?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
TWO_CITIES = [{"role": "user", "content": "Use the tool: what is the weather in Paris and Tokyo?"}]
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def text_of(chunks) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_a_chat_is_answered(client):
    answer = client.chat.completions.create(model="fast", messages=QUESTION)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_any_model_of_the_simulated_provider_answers_by_its_own_name(client):
    answer = client.chat.completions.create(model="demo/some-model", messages=QUESTION)
    assert answer.choices[0].message.content


def test_max_tokens_cuts_the_answer_short(client):
    answer = client.chat.completions.create(model="fast", messages=QUESTION, max_completion_tokens=2)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 2


def test_a_stream_says_what_the_whole_answer_says(client):
    whole = client.chat.completions.create(model="fast", messages=QUESTION)
    chunks = list(client.chat.completions.create(model="fast", messages=QUESTION, stream=True))
    assert len(chunks) > 2
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_usage_is_streamed_only_to_whom_asked(client):
    def stream(**options):
        return list(client.chat.completions.create(model="fast", messages=QUESTION, stream=True, **options))

    asked = stream(stream_options={"include_usage": True})
    assert asked[-1].choices == []
    assert asked[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None and chunk.choices for chunk in stream())


def test_the_sdks_stream_helper_collects_the_answer(client):
    with client.chat.completions.stream(model="fast", messages=QUESTION) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == final.choices[0].message.content


async def test_a_chat_is_answered_asynchronously(async_client):
    answer = await async_client.chat.completions.create(model="fast", messages=QUESTION)
    assert answer.choices[0].message.content


async def test_a_hundred_streams_run_at_once(async_client):
    """All streams are open before any is read to its end."""
    is_open = asyncio.Barrier(100)

    async def stream(number: int) -> str:
        messages = [{"role": "user", "content": f"Tell me about the number {number}."}]
        chunks = await async_client.chat.completions.create(model="fast", messages=messages, stream=True)
        collected = [await anext(chunks)]
        await is_open.wait()
        collected += [chunk async for chunk in chunks]
        assert collected[-1].choices[0].finish_reason == "stop"
        return text_of(collected)

    async with asyncio.timeout(60):
        texts = await asyncio.gather(*(stream(number) for number in range(100)))
    assert all(texts)


def test_a_tool_is_called(client):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]
    answer = client.chat.completions.create(model="fast", messages=messages, tools=[WEATHER], tool_choice="required")
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments).keys() == {"city", "unit"}


def test_a_tools_result_is_answered_with_text(client):
    question = [{"role": "user", "content": "What is the weather in Paris?"}]
    asked = client.chat.completions.create(model="fast", messages=question, tools=[WEATHER], tool_choice="required")
    message = asked.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": '{"temperature": 18, "sky": "clear"}'}
        for call in message.tool_calls
    ]
    told = [*question, message.model_dump(exclude_none=True), *results]
    answer = client.chat.completions.create(model="fast", messages=told, tools=[WEATHER])
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content


def test_tools_are_called_in_parallel(client):
    answer = client.chat.completions.create(
        model="fast", messages=TWO_CITIES, tools=[WEATHER], tool_choice="required", parallel_tool_calls=True
    )
    calls = answer.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Tokyo"]
    assert len({call.id for call in calls}) == 2


def test_parallel_tool_calls_can_be_streamed(client):
    stream = client.chat.completions.create(
        model="fast", messages=TWO_CITIES, tools=[WEATHER], tool_choice="required", stream=True
    )
    arguments: dict[int, str] = {}
    for event in stream:
        for call in event.choices[0].delta.tool_calls or []:
            arguments[call.index] = arguments.get(call.index, "") + (call.function.arguments or "")
    assert [json.loads(arguments[index])["city"] for index in sorted(arguments)] == ["Paris", "Tokyo"]


def test_a_providers_parallel_tool_calls_come_through(client, upstream):
    calls = [
        {"id": f"call_{city}", "type": "function", "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'}}
        for city in ["Paris", "Tokyo"]
    ]
    upstream.begin(Answer(body=completion({"content": None, "tool_calls": calls}, "tool_calls")))
    answer = client.chat.completions.create(model="recorded", messages=TWO_CITIES, tools=[WEATHER])
    assert [call.model_dump() for call in answer.choices[0].message.tool_calls] == calls
    assert upstream.requests[0].json["tools"] == [WEATHER]


def test_a_providers_stream_comes_through(client, upstream):
    deltas = [{"role": "assistant", "content": ""}, {"content": "Grüße "}, {"content": "an 世界 👋"}]
    frames = [json.dumps(chunk(delta)) for delta in deltas]
    # One of them without escapes, as some providers write it.
    frames[1] = json.dumps(chunk(deltas[1]), ensure_ascii=False)
    frames += [json.dumps(chunk({}, "stop")), "[DONE]"]
    upstream.begin(Answer(frames=frames))
    chunks = list(client.chat.completions.create(model="recorded", messages=QUESTION, stream=True))
    assert text_of(chunks) == "Grüße an 世界 👋"
    assert len(chunks) == 4


class Person(BaseModel):
    name: str
    age: int
    nicknames: list[str]


def test_a_json_schema_is_satisfied(client):
    messages = [{"role": "user", "content": "Ada Lovelace is 36."}]
    answer = client.chat.completions.parse(model="fast", messages=messages, response_format=Person)
    assert isinstance(answer.choices[0].message.parsed, Person)


def test_a_json_schema_is_satisfied_in_a_stream(client):
    messages = [{"role": "user", "content": "Ada Lovelace is 36."}]
    with client.chat.completions.stream(model="fast", messages=messages, response_format=Person) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Person)


@pytest.mark.parametrize("model", ["fast", "recorded"])
def test_image_parts_are_taken(client, upstream, model):
    content = [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
    ]
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content
    for request in upstream.requests:
        assert request.json["messages"][0]["content"] == content


def test_a_prompt_of_5_mb_is_taken(client, upstream):
    prompt = "All work and no play. " * 240_000
    assert len(prompt) > 5_000_000
    messages = [{"role": "user", "content": prompt}]
    for model in ["fast", "recorded"]:
        assert client.chat.completions.create(model=model, messages=messages).choices[0].message.content
    assert upstream.requests[0].json["messages"][0]["content"] == prompt
