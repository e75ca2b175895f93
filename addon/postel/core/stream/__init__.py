"""The stream guard: what makes a streamed answer end either complete or in one error that every client sees.

    event <- sse, ndjson        bytes into events, incrementally
    protocol                    what an event means: whose it is, output, how far the answer has come
    suspicion                   which events the rules are asked about
    inspector                   what one event is: good, empty, unreadable, the last one, a failure
    clock                       when a stream has been waited for long enough
    repeat                      a shortcut for events that repeat the last good one but for a word
    tail                        an error as the bytes of one last event
    policy                      what a deployment may change
    guard                       the state machine that puts them together

Pure: no socket, no clock, no task. `proxy.layer` feeds it from the wire, `rulefile.play` from the timeline of a case.
"""
