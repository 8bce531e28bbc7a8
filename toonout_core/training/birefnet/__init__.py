"""Fine-tuning of ToonOut and its relatives."""
