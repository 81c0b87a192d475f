"""What a scorer has told so far: alarms with the lines round them, a timeline per source, events. Beside scoring."""
