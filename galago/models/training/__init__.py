"""From recordings to a trained network: corpora, alignment, augmentation, batches, the trainer."""
