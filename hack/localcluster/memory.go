// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const (
	softLimitVariable = "GOMEMLIMIT"
	// collectorVariable sets the GOGC percentage of the garbage collector.
	collectorVariable = "GOGC"
)

// MemoryLimit is the memory limit in the Deployment of a program.
type MemoryLimit struct {
	// Bytes is the limit of the container.
	Bytes uint64
	// Soft is the value of GOMEMLIMIT.
	Soft string
	// Collector is the value of GOGC. It may be empty.
	Collector string
}

// readMemoryLimit reads the limit of the first container of the Deployment in a manifest.
func readMemoryLimit(path string) (MemoryLimit, error) {
	file, err := os.Open(path) //nolint:gosec // a manifest of config/
	if err != nil {
		return MemoryLimit{}, fmt.Errorf("read a memory limit: %w", err)
	}
	defer func() { _ = file.Close() }()
	const bufferSize = 4096
	decoder := yaml.NewYAMLOrJSONDecoder(file, bufferSize)
	for {
		var d appsv1.Deployment
		if err := decoder.Decode(&d); err != nil {
			if errors.Is(err, io.EOF) {
				return MemoryLimit{}, fmt.Errorf("%s sets no memory limit and no %s", path, softLimitVariable)
			}
			return MemoryLimit{}, fmt.Errorf("read %s: %w", path, err)
		}
		if limit, ok := memoryLimitOf(&d); ok {
			return limit, nil
		}
	}
}

func memoryLimitOf(d *appsv1.Deployment) (MemoryLimit, bool) {
	if d.Kind != "Deployment" || len(d.Spec.Template.Spec.Containers) == 0 {
		return MemoryLimit{}, false
	}
	container := d.Spec.Template.Spec.Containers[0]
	limit := MemoryLimit{Bytes: uint64(max(container.Resources.Limits.Memory().Value(), 0))}
	for _, variable := range container.Env {
		switch variable.Name {
		case softLimitVariable:
			limit.Soft = variable.Value
		case collectorVariable:
			limit.Collector = variable.Value
		}
	}
	return limit, limit.Bytes > 0 && limit.Soft != ""
}

// confine limits the memory of the program to the limit in its Deployment. folder is the folder of the Deployment in
// the configuration.
func (k *KubeVision) confine(p *Program, folder string) error {
	if !k.options.ConfineMemory {
		return nil
	}
	limit, err := readMemoryLimit(filepath.Join(k.options.ConfigDir, folder, "deployment.yaml"))
	if err != nil {
		return err
	}
	p.memory, p.env = limit, []string{softLimitVariable + "=" + limit.Soft, collectorVariable + "=" + limit.Collector}
	return nil
}

// MemoryLimit returns the limit of the program, or zero if it has none.
func (p *Program) MemoryLimit() MemoryLimit { return p.memory }

// ProcessMemory is the physical memory of a process, in bytes.
type ProcessMemory struct {
	// Resident is the physical memory in use at the time of the measurement, in bytes.
	Resident uint64
	// Peak is the largest amount of physical memory since the start of the process or the last call of ForgetPeak, in
	// bytes.
	Peak uint64
}

// ReadMemory returns the memory of a process and its child processes together. The child processes must run the same
// executable as the process, because ReadMemory counts the pages of the executable once. ReadMemory fails if the
// process has exited. It requires Linux.
func ReadMemory(pid int) (ProcessMemory, error) {
	status, err := readStatus(pid)
	if err != nil {
		return ProcessMemory{}, err
	}
	out := ProcessMemory{Resident: status["VmRSS"], Peak: status["VmHWM"]}
	for _, child := range Children(pid) {
		if status, err := readStatus(child); err == nil { // a child that has exited has no memory
			out.Resident += status["RssAnon"]
			out.Peak += status["VmHWM"] - status["RssFile"]
		}
	}
	return out, nil
}

// readStatus returns the sizes in the status file of a process, in bytes. It fails if the process has exited.
func readStatus(pid int) (map[string]uint64, error) {
	text, err := os.ReadFile(processFile(pid, "status"))
	if err != nil {
		return nil, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	out := map[string]uint64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if kibibytes, found := strings.CutSuffix(strings.TrimSpace(value), " kB"); found {
			size, err := strconv.ParseUint(kibibytes, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read %s of process %d: %w", name, pid, err)
			}
			out[name] = size << 10
		}
	}
	if out["VmHWM"] == 0 {
		return nil, fmt.Errorf("process %d has exited", pid) // a zombie process has no memory
	}
	return out, nil
}

// Children returns the ids of the child processes of a process. It requires Linux.
func Children(pid int) []int {
	var out []int
	threads, _ := filepath.Glob(processFile(pid, "task/*/children")) // the pattern is valid
	for _, path := range threads {
		text, err := os.ReadFile(path) //nolint:gosec // a file of proc(5)
		if err != nil {
			continue // the thread has ended
		}
		for id := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(id); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// ForgetPeak sets the recorded peak of the memory of a process and its child processes to the current value.
func ForgetPeak(pid int) error {
	for _, id := range append(Children(pid), pid) {
		const resetPeak = "5" // value from proc(5)
		if err := os.WriteFile(processFile(id, "clear_refs"), []byte(resetPeak), 0); err != nil && id == pid {
			return fmt.Errorf("forget the memory peak of process %d: %w", pid, err)
		}
	}
	return nil
}

func processFile(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }
