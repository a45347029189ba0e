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
	// collectorVariable sets the frequency of the garbage collector.
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

// confine applies the memory limit in the Deployment of a program. folder is the folder of the Deployment in the
// configuration.
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
	// Resident is the current value.
	Resident uint64
	// Peak is the maximum since the start of the process, or since ForgetPeak.
	Peak uint64
}

// ReadMemory reads the memory of a process from Linux. It fails if the process has exited.
func ReadMemory(pid int) (ProcessMemory, error) {
	text, err := os.ReadFile(processFile(pid, "status"))
	if err != nil {
		return ProcessMemory{}, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	out := ProcessMemory{}
	for name, into := range map[string]*uint64{"VmRSS": &out.Resident, "VmHWM": &out.Peak} {
		_, rest, _ := strings.Cut(string(text), "\n"+name+":")
		line, _, _ := strings.Cut(rest, "\n")
		kibibytes, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
		if err != nil { // a zombie process has no memory
			return ProcessMemory{}, fmt.Errorf("read %s of process %d: %w", name, pid, err)
		}
		*into = kibibytes << 10
	}
	return out, nil
}

// ForgetPeak resets the peak of a process to its current value.
func ForgetPeak(pid int) error {
	const resetPeak = "5" // value from proc(5)
	if err := os.WriteFile(processFile(pid, "clear_refs"), []byte(resetPeak), 0); err != nil {
		return fmt.Errorf("forget the memory peak of process %d: %w", pid, err)
	}
	return nil
}

func processFile(pid int, name string) string { return fmt.Sprintf("/proc/%d/%s", pid, name) }
