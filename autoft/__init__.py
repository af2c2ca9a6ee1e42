"""autoft finds the best fine-tuned transformer for your data by itself."""
