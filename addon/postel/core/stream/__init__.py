"""The stream guard: what makes a streamed answer end either complete or in one error that every client sees.

    event <- sse, ndjson        bytes into events, incrementally
    protocol                    what an event means: output, progress, the mark of an error
    tail                        an error as the bytes of one last event
    policy                      what a deployment may change
    guard                       the state machine that puts them together

Pure: no socket, no clock, no task. `proxy.layer` feeds it from the wire, `rulefile.play` from the timeline of a case.
"""
