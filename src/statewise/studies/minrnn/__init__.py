"""What Feng et al. claim of minimal recurrent networks (arXiv 2410.01201): cost, learning, and where it stops."""
