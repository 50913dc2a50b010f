"""Every speed claim of the project, measured beside the tool that specialises in it, in the same run."""
