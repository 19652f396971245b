"""Making a step on this machine: its child process, its lock and staged folder, the store that machines share."""
