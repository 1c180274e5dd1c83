"""Whether trained recurrent networks with gates become attention: teachers, architectures, learning in context.

Source: Zucchet, Kobayashi, Akram, von Oswald, Larcher, Steger, Sacramento, arXiv 2309.01775.
"""
