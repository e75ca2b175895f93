"""Stack traces inside error messages: what stays of them is the sentence they end in.

Owns the marks by which traces of Python, Node, Java, .NET, Ruby, Elixir, Go, Rust and C++ are known. Called by
`redact`. Never raises; linear; cutting twice changes nothing more.
"""

from __future__ import annotations

from postel.core import regex

_PYTHON = "Traceback (most recent call last)"

# Python's source lines follow their frame, indented by four or more. `File "x", line 3` also comes without a traceback:
# FastAPI's text of a RequestValidationError ends in one (0.12x).
_PYTHON_FRAME = regex.compile(r'(?m)[ \t]*File "[^"\n]*", line \d+(?:, in [\w<>.]+)?(?:\n {4,}[^\n]*|\n\t[^\n]*)*')
_EXCEPTION = regex.compile(
    r"(?m-i)(?:^|[\s)])((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Timeout|Fault)(?::[^\n]*|$))"
)
_CHAINED = regex.compile(r"(?:During handling of the above|The above exception was)[^\n]*")

_NODE_FRAME = regex.compile(
    r"(?:^|\s)+at (?:async )?(?:"
    r"(?:[\w.<>$\[\] ]{1,120} \()?(?:(?:file|node|webpack)[\w-]*:|[/\\]|[a-z]:[\\/])[^\s()]*:\d+[^\s()]*\)?"
    r"|[\w.<>$\[\] ]{1,120} \((?:<anonymous>|native|index \d+)\))"
)
_JAVA_FRAME = regex.compile(
    r"(?-i)(?:^|\s)+(?:at [\w.$/<>@]{1,200}"
    r"\((?:[\w.$ -]{1,80}:\d+|[\w$-]{1,80}\.\w{2,6}|Native Method|Unknown Source|<generated>)\)"
    r"|\.\.\. \d+ (?:more|common frames omitted))"
)
# .NET: on a line of its own, or with the place in the source; a bare `at Name.Of(...)` may be prose.
_NET_CALL = r"at (?:[A-Za-z_][\w`<>+$|]*\.)+[\w`<>.|$\[\],]{1,200}\([^()\n]{0,300}\)"
_NET_FRAME = regex.compile(
    rf"(?-i)\s+{_NET_CALL} in \S[^\n]{{0,300}}?:line \d+|\n[ \t]+{_NET_CALL}"
    r"|\s*--- End of (?:inner exception )?stack trace[^\n]{0,60}---"
)
_RUBY_FRAME = regex.compile(r"(?m)(?:^|\s)+(?:from )?[\w./-]{1,200}\.rb:\d+:in [`'][^'\n]{0,200}'")
_ELIXIR_FRAME = regex.compile(r"(?m)(?:^|\s)+\(\w{1,60} \d[\w.-]{0,30}\) [\w./-]{1,200}\.(?:exs?|erl):\d+: [^\n]*")

# From here to the end nothing is meant for a reader.
_TAIL = regex.compile(
    r"(?s)(?:^|\s)(?:goroutine \d+ \[|stack backtrace:|stack ?trace:|exception raised from |frame #\d+:"
    r"|#\d+\s+0x[0-9a-f]|\d+\s+0x[0-9a-f]{6,}|Caused by: "
    # ASP.NET's developer page as text; Django's report as text
    r"|HEADERS\s+=======|Request Method: [A-Z]{3,10}\s+Request URL: ).*"
)


def cut(text: str) -> str:
    """The text without its stack traces: what stood before one, and of a Python traceback the line it ends in."""
    if _PYTHON in text:
        text = _last_line(text.replace("\\n", "\n"))
    if 'File "' in text or 'file "' in text:
        text = _PYTHON_FRAME.replace(text, " ")
    if "at " in text or "..." in text:
        text = _JAVA_FRAME.replace(_NODE_FRAME.replace(text, " "), " ")
        text = _NET_FRAME.replace(text, " ")
    if ".rb:" in text:
        text = _RUBY_FRAME.replace(text, " ")
    if ".ex" in text or ".erl:" in text:
        text = _ELIXIR_FRAME.replace(text, " ")
    return _TAIL.replace(text, " ")


def _last_line(text: str) -> str:
    before, _, trace = text.partition(_PYTHON)
    trace = _CHAINED.replace(trace.rpartition(_PYTHON)[2], " ")
    trace = _PYTHON_FRAME.replace(trace, "\n")
    last = ""
    for match in _EXCEPTION.finditer(trace):
        last = match.group(1) or ""
    if not last:
        lines = [line.strip() for line in trace.splitlines() if line.strip(" \t:^~")]
        last = lines[-1] if lines else ""
    before = before.rstrip(" \t\r\n:-")
    return f"{before}: {last}" if before and last else before or last
