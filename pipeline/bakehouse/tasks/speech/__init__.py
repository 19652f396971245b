"""Models that write down what is said in a recording."""
