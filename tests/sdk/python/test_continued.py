"""A stream that breaks and is gone on with: the official SDKs read it like any other."""

import anthropic

from gateway import KEY

QUESTION = [{"role": "user", "content": "What is a gateway good for, in 60 words?"}]


def test_openais_sdk_reads_a_continued_stream(client):
    stream = client.chat.completions.create(
        model="broken", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert len({chunk.id for chunk in chunks}) == 1
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["stop"]
    usage = chunks[-1].usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
    marks = [(number, chunk.tollgate) for number, chunk in enumerate(chunks) if hasattr(chunk, "tollgate")]
    ((number, mark),) = marks
    before = "".join(choice.delta.content or "" for chunk in chunks[:number] for choice in chunk.choices)
    assert mark == {"continued": {"target": "demo/small", "after": len(before.encode())}}


def test_anthropics_sdk_reads_a_continued_stream(gateway):
    with anthropic.Anthropic(base_url=f"http://{gateway.address}", api_key=KEY, max_retries=0) as client:
        with client.messages.stream(model="broken", max_tokens=500, messages=QUESTION) as stream:
            text = "".join(stream.text_stream)
            message = stream.get_final_message()
    assert [block.type for block in message.content] == ["text"]
    assert message.content[0].text == text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens > 0
