"""A scripted model behind an OpenAI-compatible address on the loopback: it says what the script says, and keeps every
request for the test to look at. No intelligence, so the same prompt always makes the same tool calls. It speaks the
dialects of model_dialects.py as well.

The script is a function from the last prompt of the user to a list of steps. A step is Call(tool, arguments) or a
final answer: a string, or a function of the texts that the tools returned.
"""

import http.server
import json
import re
import sys
import threading

from model_dialects import dialect_of


class Call:
    def __init__(self, name, **arguments):
        self.name, self.arguments = name, arguments


def echo(results):
    """The final answer holds what the tools gave: so a test sees what the agent could get."""
    return "TOOLS-SAID <<" + " || ".join(results) + ">> DONE"


def default_script(prompt):
    if "create hello.txt" in prompt:
        return [Call("write", path="hello.txt", content="hello from the room\n"), "I have created hello.txt."]
    wish = re.search(r"read the file (\S+)", prompt)
    if wish:
        return [Call("read", path=wish.group(1)), Call("bash", command=f"cat {wish.group(1)}"), echo]
    wish = re.search(r"run the command: (.*)", prompt, re.S)
    if wish:
        return [Call("bash", command=wish.group(1).strip()), echo]
    return [f"You said: {prompt.strip()}"]


def text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def added_by_program(text):
    """OpenClaw puts a message of its own behind the user's."""
    return text.startswith("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>")


class ModelServer:
    """with ModelServer() as model: ... model.port, model.requests, model.texts()"""

    MODEL = "scripted"

    def __init__(self, script=default_script):
        self.script = script
        self.requests = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, body, kind="application/json"):
                data = body.encode()
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                if self.path.rstrip("/") == "/v1/models":
                    self.reply(json.dumps({"object": "list", "data": [{"id": owner.MODEL, "object": "model"}]}))
                else:
                    self.send_error(404)

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                dialect = dialect_of(self.path)
                if dialect:
                    owner.requests.append(request)
                    self.reply(*owner.say(dialect, request, self.path))
                    return
                if self.path != "/v1/chat/completions":
                    self.send_error(404)
                    return
                owner.requests.append(request)
                message, reason = owner.answer(request)
                if request.get("stream"):
                    self.reply("".join(owner.events(message, reason)), "text/event-stream")
                else:
                    self.reply(json.dumps(owner.envelope("chat.completion", message=message, finish_reason=reason)))

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                if not isinstance(sys.exc_info()[1], ConnectionError):
                    super().handle_error(request, client_address)  # a client that just goes is no news

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def answer(self, request):
        """The assistant's next message, given the whole conversation."""
        messages = request["messages"]
        last = max(index for index, message in enumerate(messages)
                   if message["role"] == "user" and not added_by_program(text_of(message["content"])))
        steps = self.script(text_of(messages[last]["content"]))
        results = [text_of(message["content"]) for message in messages[last:] if message["role"] == "tool"]
        step = steps[min(len(results), len(steps) - 1)]
        if isinstance(step, Call):
            call = {"id": f"call_{len(results)}_{last}", "type": "function",
                    "function": {"name": step.name, "arguments": json.dumps(step.arguments)}}
            return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
        return {"role": "assistant", "content": step(results) if callable(step) else step}, "stop"

    def say(self, dialect, request, path):
        """The next step in another dialect. A request that offers no such tool is one of the program's own, for a title
        and the like."""
        prompt, results, tools, stream = dialect.read(request, path)
        steps = self.script(prompt)
        step = steps[min(len(results), len(steps) - 1)]
        if isinstance(step, Call) and step.name not in tools:
            step = "untitled"
        elif callable(step):
            step = step(results)
        return dialect.write(self.MODEL, len(self.requests), step, stream)

    def envelope(self, kind, **choice):
        return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": self.MODEL,
                "choices": [{"index": 0, **choice}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}}

    def events(self, message, reason):
        """The same message in pieces, as a streaming server sends it."""
        pieces = [{"role": "assistant", "content": ""}]
        for index, call in enumerate(message.get("tool_calls") or []):
            function = call["function"]
            head = {"name": function["name"], "arguments": ""}
            pieces.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": head}]})
            text = function["arguments"]
            pieces += [{"tool_calls": [{"index": index, "function": {"arguments": text[at:at + 12]}}]}
                       for at in range(0, len(text), 12)]
        text = message["content"] or ""
        pieces += [{"content": text[at:at + 16]} for at in range(0, len(text), 16)]
        for piece, end in [*((piece, None) for piece in pieces), ({}, reason)]:
            yield f"data: {json.dumps(self.envelope('chat.completion.chunk', delta=piece, finish_reason=end))}\n\n"
        yield "data: [DONE]\n\n"

    def texts(self):
        """Everything that ever reached the model, for `secret not in model.texts()`."""
        return json.dumps(self.requests)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    with ModelServer() as model:
        print(f"http://127.0.0.1:{model.port}/v1", flush=True)
        threading.Event().wait()
