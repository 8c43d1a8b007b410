"""Few-shot images: drawings, splits, episodes, encoders and prototypes for plastic networks (and without)."""
