"""The decisions, without the network.

    Evidence  ->  Verdict  ->  Reply

`evidence` is what was seen on the wire, `rules` (with `match`, `body` and `template`) says what it
means, and `normalise` turns that into what the client gets, with `dialect`, `retry`, `message` and
`render`. Start reading at `normalise.Normaliser`.

Nothing here opens a socket, reads a clock, draws a random number, looks at the environment or knows
mitmproxy: time and chance are arguments. The package imports the standard library, google-re2 and
jmespath, and nothing else; `tests/test_architecture.py` holds that.
"""
