"""Acting behind the screen: environment and agent in a process of their own, asked in lines of JSON."""
