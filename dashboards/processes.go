package dashboards

import "github.com/weirstream/weir/streams/telemetry"

// Metrics of Prometheus' client for Go, which it has on Linux.
const (
	cpuSeconds = "process_cpu_seconds_total"
	memory     = "process_resident_memory_bytes"
)

// free is the share of the data's disk that is free.
func free(by string) string {
	return "min by (" + by + ") (" + selector(telemetry.DiskFree, []string{onInstance}) + " / " + selector(telemetry.DiskSize, []string{onInstance}) + ")"
}

// processes are what each process uses, and which program it is.
func processes() []*panel {
	const linux, embedded = "the processes do not run on Linux", "no process keeps data of its own"
	return []*panel{
		graph("CPU", "suffix:cores", "Cores that each process keeps busy. As many as the machine has: everything waits for one another.").unmarked(volume).size(6, 8).
			query(per("instance", cpuSeconds, onInstance), "{{instance}}").may(linux),
		graph("Memory", "bytes", "Memory that each process holds. It grows for days: something is not let go of.").unmarked(volume).size(6, 8).
			query(most("instance", memory, onInstance), "{{instance}}").may(linux),
		processList().size(12, 8),
		graph("Disk free", "percentunit", "The share of the disk under the data directory that is free. At 0 stores take nothing more.").size(24, 6).between(0, 1).
			query(free("instance"), "{{instance}}").may(embedded).steps(red, step{0.1, orange}, step{0.2, green}),
	}
}

// processList is one line per process.
func processList() *panel {
	p := list("Processes", "none", "Every process with its version. Two versions for long: a roll-out stands still.").unmarked(inWords).
		query(most("instance, version, go", telemetry.BuildInfo, onInstance), "").
		query(per("instance", cpuSeconds, onInstance), "").may("the processes do not run on Linux").
		query(most("instance", memory, onInstance), "").may("the processes do not run on Linux").
		query(free("instance"), "").may("no process keeps data of its own").
		transform("merge", map[string]any{}).
		transform("organize", map[string]any{
			"excludeByName": map[string]bool{"Time": true, "Value #A": true},
			"indexByName":   map[string]int{"instance": 0, "version": 1, "Value #B": 2, "Value #C": 3, "Value #D": 4, "go": 5},
			"renameByName": map[string]string{"instance": "Process", "version": "Version", "go": "Go",
				"Value #B": "CPU", "Value #C": "Memory", "Value #D": "Disk free"}}).
		override("byName", "Process", "custom.width", 160)
	return p.override("byName", "CPU", "unit", "suffix:cores").override("byName", "CPU", "decimals", 2).
		override("byName", "Memory", "unit", "bytes").override("byName", "Disk free", "unit", "percentunit")
}
