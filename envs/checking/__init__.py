"""What an environment does wrong, found before a training run is ruined: `oreo.envs.check`, `oreo envs check`."""
