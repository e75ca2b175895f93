import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core import traces


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            (
                'Boom: Traceback (most recent call last):\n  File "/app/x.py", line 3, in f\n    foo()\n    ^^^^^\n'
                '  File "/app/y.py", line 9, in g\n    raise ValueError("Error: x")\nValueError: bad thing happened\n'
            ),
            "Boom: ValueError: bad thing happened",
        ),
        (
            'Traceback (most recent call last): File "/app/x.py", line 3, in f foo() RuntimeError: CUDA error: bad',
            "RuntimeError: CUDA error: bad",
        ),
        (
            (
                'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\ntorch.OutOfMemoryError: no\n\n'
                "During handling of the above exception, another exception occurred:\n\nTraceback (most recent"
                ' call last):\n  File "b.py", line 1, in <module>\nfastapi.exceptions.HTTPException: 500: nope'
            ),
            "fastapi.exceptions.HTTPException: 500: nope",
        ),
        (
            (
                "PayloadTooLargeError: too large\n    at read (/app/node_modules/x.js:1:2)\n    at /app/y.js:3:1\n"
                "    at async Promise.all (index 0)"
            ),
            "PayloadTooLargeError: too large",
        ),
        (
            (
                "java.io.IOException: x\n\tat com.foo.Bar.baz(Bar.java:12)\n\tat java.base/java.lang.Thread.run"
                "(Thread.java:833)\n\t... 12 more\nCaused by: java.lang.Error: y"
            ),
            "java.io.IOException: x",
        ),
        (
            "panic: index out of range\n\ngoroutine 1 [running]:\nmain.main()\n\t/tmp/x.go:4 +0x1d",
            "panic: index out of range",
        ),
        (
            (
                "CUDA error: illegal access\nException raised from check at ../c10/x.cpp:43 (most recent call first):\n"
                "frame #0: c10::Error"
            ),
            "CUDA error: illegal access",
        ),
        (
            '1 validation error\n\n  File "/usr/x.py", line 622, in create\n    POST /v1/chat/completions',
            "1 validation error",
        ),
        (
            (
                "System.InvalidOperationException: no model\n   at Acme.Chat.Run(String model, Int32 n)"
                " in /src/Chat.cs:line 5\n   at System.Threading.Tasks.Task`1.get_Result()\n"
                "--- End of stack trace from previous location ---\n\nHEADERS\n=======\nX-Tenant: corp"
            ),
            "System.InvalidOperationException: no model",
        ),
        (
            "undefined method `x' for nil:NilClass\napp/models/chat.rb:12:in `run'\n/usr/lib/ruby/rack.rb:3:in 'call'",
            "undefined method `x' for nil:NilClass",
        ),
        (
            "** (RuntimeError) no model\n    (chat 0.1.0) lib/run.ex:5: Chat.Run.call/2\n    (std 5.0) gen.erl:3: x",
            "** (RuntimeError) no model",
        ),
        (
            "ValueError at /v1/chat\nno model\n\nRequest Method: POST\nRequest URL: http://10.0.0.1/\nDjango: 5",
            "ValueError at /v1/chat\nno model",
        ),
        ("Look at Models.List(all) for names", "Look at Models.List(all) for names"),
        ("No such route: look at /v1/models instead", "No such route: look at /v1/models instead"),
        ("parse error at line 1, column 16", "parse error at line 1, column 16"),
    ],
)
def test_a_trace_leaves_the_sentence_it_ends_in(text: str, left: str) -> None:
    assert left == traces.cut(text).strip()


PIECES = ["Traceback (most recent call last)", ":", "\n", "    ", 'File "a.py", line 3', ", in f", "ValueError", ": x",
          " at ", "/x:1", "f (", ")", "goroutine 1 [", "Caused by: ", "word", "\\n"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_mark_of_a_trace_survives(text: str) -> None:
    left = traces.cut(text)

    assert "Traceback (most recent call last)" not in left
    assert 'File "a.py", line 3' not in left
