"""Encoder–decoders on parallel text: translating, scoring, and what a bridge lets through."""
