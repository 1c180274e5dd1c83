"""The recall of Arora et al. 2023 (zoology), with the bits that a state holds and must hold beside the accuracy."""
