"""What recurrent models and Transformers can and cannot do, as measured by Bhattamishra, Hahn, Blunsom, Kanade 2024."""
