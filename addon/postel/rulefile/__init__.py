"""From YAML to the core: rule packs, dialects and the cases that prove them.

`yaml` reads text with positions, `document` holds it against a model (`schema`, `dialect_schema`, `case_schema`, made
of `values`), `compiling` and `dialects` make what the core asks, `load` puts files together; `check` and `cases` are
the verbs on top. Every mistake of a user is a `finding.Finding`. pydantic and PyYAML stop here: the core sees neither.
"""
