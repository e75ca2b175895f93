"""Postel: one honest OpenAI error for whatever an LLM upstream does wrong."""

__version__ = "0.1.0.dev0"
