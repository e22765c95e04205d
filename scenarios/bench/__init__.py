"""What messages, protocol and start-up cost, measured beside the bare minimum in the same minute."""
