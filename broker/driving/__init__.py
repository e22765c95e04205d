"""Who runs participants: the driver, virtual time, real time, and a process for one."""
