"""Postel on mitmproxy: the only package that imports it.

It observes and obeys; it decides nothing. `addon` holds the hooks, `layer` sits inside mitmproxy's protocol stack where
hooks cannot reach (a failure before or after the head), `observe` turns flows and errors into `core.evidence`,
`telling` asks the core what clients are told, `guarding` and `judging` are a stream's guard at work, `timers` knows the
deadlines, `master` runs it all without the addons that a reverse proxy does not need.

If a change needs a decision here, ask first which field is missing in Evidence.
"""
