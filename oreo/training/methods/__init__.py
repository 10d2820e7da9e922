"""What training methods are made of, and one file for each of them."""
