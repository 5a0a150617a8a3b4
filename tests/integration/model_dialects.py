"""What the scripted model speaks besides OpenAI's chat completions: Anthropic's Messages, OpenAI's Responses and
Gemini's generateContent, each as far as an agent's task with a few tool calls needs.

A dialect reads a request into a Conversation and writes the model's next step (a Call or a string) as that server
would. It knows nothing of the script.
"""

import json
import re
import typing


class Conversation(typing.NamedTuple):
    prompt: str         # what the user said last
    results: list       # what the tools have returned since
    tools: set          # the names of those on offer
    stream: bool


class Said(typing.NamedTuple):
    body: str
    kind: str = "application/json"


def texts(content):
    """The text in a value that is a string, or a list of parts some of which have one."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or [] if isinstance(part, dict) and "text" in part)


def event(kind, **data):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"


def last_prompt(turns):
    """(index, text) of the last turn in which the user speaks; a turn is (text or None, results)."""
    index = max((at for at, (text, _) in enumerate(turns) if text is not None), default=0)
    return index, (turns[index][0] if turns else None) or ""


class Messages:
    """POST /v1/messages"""

    path = re.compile(r"/v1/messages(\?.*)?$")

    @staticmethod
    def read(request, _path):
        turns = []
        for message in request["messages"]:
            content = message["content"]
            parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
            results = [texts(part.get("content")) for part in parts if part["type"] == "tool_result"]
            # What the program itself puts in beside the user's words is no prompt.
            words = [part["text"] for part in parts
                     if part["type"] == "text" and not part["text"].lstrip().startswith("<system-reminder>")]
            speaks = message["role"] == "user" and words and not results
            turns.append(("\n".join(words) if speaks else None, results))
        index, prompt = last_prompt(turns)
        return Conversation(prompt, [text for _, results in turns[index:] for text in results],
                            {tool.get("name") for tool in request.get("tools", [])}, bool(request.get("stream")))

    @staticmethod
    def write(model, number, step, stream):
        if isinstance(step, str):
            block, reason = {"type": "text", "text": step}, "end_turn"
        else:
            block = {"type": "tool_use", "id": f"toolu_{number}", "name": step.name, "input": step.arguments}
            reason = "tool_use"
        message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model,
                   "content": [block], "stop_reason": reason, "stop_sequence": None,
                   "usage": {"input_tokens": 10, "output_tokens": 10}}
        if not stream:
            return Said(json.dumps(message))
        empty = {**block, "text": ""} if isinstance(step, str) else {**block, "input": {}}
        delta = ({"type": "text_delta", "text": step} if isinstance(step, str)
                 else {"type": "input_json_delta", "partial_json": json.dumps(step.arguments)})
        start = {**message, "content": [], "stop_reason": None}
        return Said(event("message_start", message=start)
                    + event("content_block_start", index=0, content_block=empty)
                    + event("content_block_delta", index=0, delta=delta)
                    + event("content_block_stop", index=0)
                    + event("message_delta", delta={"stop_reason": reason, "stop_sequence": None},
                            usage={"output_tokens": 10})
                    + event("message_stop"), "text/event-stream")


class Responses:
    """POST /v1/responses, always streamed"""

    path = re.compile(r"/v1/responses$")

    @staticmethod
    def read(request, _path):
        turns = []
        for item in request["input"]:
            if item.get("type", "message") == "message":
                turns.append((texts(item["content"]) if item["role"] == "user" else None, []))
            elif item["type"].endswith("_call_output"):
                turns.append((None, [texts(item["output"])]))
        index, prompt = last_prompt(turns)
        return Conversation(prompt, [text for _, results in turns[index:] for text in results],
                            {tool.get("name") for tool in request.get("tools", [])}, True)

    @staticmethod
    def write(_model, number, step, _stream):
        if isinstance(step, str):
            item = {"type": "message", "role": "assistant", "id": f"msg_{number}",
                    "content": [{"type": "output_text", "text": step}]}
        else:
            item = {"type": "function_call", "call_id": f"call_{number}", "name": step.name,
                    "arguments": json.dumps(step.arguments)}
        usage = {"input_tokens": 10, "input_tokens_details": None, "output_tokens": 10,
                 "output_tokens_details": None, "total_tokens": 20}
        return Said(event("response.created", response={"id": f"resp_{number}"})
                    + event("response.output_item.done", output_index=0, item=item)
                    + event("response.completed", response={"id": f"resp_{number}", "usage": usage}),
                    "text/event-stream")


class Gemini:
    """POST /v1beta/models/MODEL:streamGenerateContent and :generateContent"""

    path = re.compile(r"/v1beta/models/[^/]*:(stream)?[gG]enerateContent(\?.*)?$")

    @staticmethod
    def read(request, path):
        turns = []
        for content in request["contents"]:
            parts = content["parts"]
            results = [json.dumps(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]
            speaks = content.get("role", "user") == "user" and not results
            turns.append((texts(parts) if speaks else None, results))
        index, prompt = last_prompt(turns)
        tools = {function["name"] for tool in request.get("tools", [])
                 for function in tool.get("functionDeclarations", [])}
        return Conversation(prompt, [text for _, results in turns[index:] for text in results], tools,
                            ":stream" in path)

    @staticmethod
    def write(model, _number, step, stream):
        part = ({"text": step} if isinstance(step, str)
                else {"functionCall": {"name": step.name, "args": step.arguments}})
        answer = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
                  "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20},
                  "modelVersion": model}
        return Said(f"data: {json.dumps(answer)}\r\n\r\n", "text/event-stream") if stream else Said(json.dumps(answer))


DIALECTS = (Messages, Responses, Gemini)


def dialect_of(path):
    return next((dialect for dialect in DIALECTS if dialect.path.match(path)), None)
