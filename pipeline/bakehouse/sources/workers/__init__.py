"""Programs that run in child processes."""

from bakehouse.child import no_command_line

no_command_line.install()
