"""The parts of `python -m train.scorer`: data, vocabulary, network, training, export, figures."""
