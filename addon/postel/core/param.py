"""Which names are fields of an OpenAI request.

Owns the list of them. A `param` is a promise that the client finds the field in its own request, so an engine's inner
name (`inputs`, `max_new_tokens`), a place in the JSON text (`body.15`) or a status (`422`) is not told. Called by
`normalise`. Pure.
"""

from __future__ import annotations

import re

# Of the OpenAI API: chat completions, completions, responses, embeddings, images, audio, moderations, as of 2026; and
# the parts of messages that errors name without saying where.
_FIELDS = frozenset(
    """
    model messages stream stream_options temperature top_p n stop max_tokens max_completion_tokens presence_penalty
    frequency_penalty logit_bias logprobs top_logprobs user seed tools tool_choice parallel_tool_calls functions
    function_call response_format modalities audio prediction reasoning_effort verbosity service_tier store metadata
    web_search_options prompt_cache_key prompt_cache_retention safety_identifier

    prompt suffix echo best_of

    input instructions include previous_response_id conversation context_management background reasoning text
    truncation max_output_tokens max_tool_calls prompt_template

    dimensions encoding_format

    image images mask quality size style background moderation output_format output_compression partial_images
    input_fidelity

    file language timestamp_granularities chunking_strategy voice speed instructions stream_format
    known_speaker_names known_speaker_references

    image_url input_audio input_image file_id file_data
    """.split()
)

_PATH = re.compile(r"(\w+)(?:\.[\w-]+|\[\d+\])*", re.ASCII)
_PREFIXES = ("body", "request", "$", "#", "data")
_LONGEST = 200


def openai_field(param: str) -> str | None:
    """The name as the client knows it, or None if its first part is no field of an OpenAI request.

    `body.messages` is `messages`, and both `/messages/0/role` and `#/messages/0/role` are `messages.0.role`;
    `messages[0].content` stays as it is.
    """
    name = param.strip().strip("'\"`").rstrip(".,:;")  # what words name may end a sentence
    if not name or len(name) > _LONGEST:
        return None
    if name.startswith(("/", "#/")):
        name = name.lstrip("#/").replace("/", ".")
    first, dot, rest = name.partition(".")
    if first in _PREFIXES and dot:
        name = rest
    path = _PATH.fullmatch(name)
    return name if path and path[1] in _FIELDS else None
