"""What runs inside every child process: its messages, its end, its environment, its credentials."""
