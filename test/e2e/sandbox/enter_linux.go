// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Enter mounts the file systems and configures the network of the sandbox. The first process of the sandbox must call
// Enter. The parameter shell is the path of a static busybox.
func Enter(ctx context.Context, shell string) error {
	for _, step := range []func() error{
		mountAll, protectKernelSettings, nameMachine,
		func() error { return connect(ctx, shell) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// mountAll mounts file systems over /etc, /run and /var, so that changes do not affect the machine.
func mountAll() error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	temporary := filepath.Join(Dir, "tmp")
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return fmt.Errorf("create the directory of the sandbox: %w", err)
	}
	for _, dir := range []string{"/etc", "/var"} {
		upper, work := filepath.Join(Dir, "upper"+dir), filepath.Join(Dir, "work"+dir)
		for _, path := range []string{upper, work} {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return fmt.Errorf("create the directory of the sandbox: %w", err)
			}
		}
		options := "lowerdir=" + dir + ",upperdir=" + upper + ",workdir=" + work
		if err := mount("overlay", dir, "overlay", 0, options); err != nil {
			return err
		}
	}
	if err := os.Setenv("TMPDIR", temporary); err != nil {
		return fmt.Errorf("choose the directory of temporary files: %w", err)
	}
	// The mounts of kubelet must be visible to containerd and to containers.
	return mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

// protectKernelSettings mounts files over the settings that kubelet changes and that apply to the whole machine.
func protectKernelSettings() error {
	for i, name := range []string{
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
		"kernel/keys/root_maxbytes",
	} {
		setting := "/proc/sys/" + name
		value, err := os.ReadFile(setting)
		if err != nil {
			return fmt.Errorf("read a setting of the kernel: %w", err)
		}
		copied := filepath.Join(Dir, fmt.Sprintf("setting-%d", i))
		if err := os.WriteFile(copied, value, 0o600); err != nil {
			return fmt.Errorf("copy a setting of the kernel: %w", err)
		}
		if err := mount(copied, setting, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

func nameMachine() error {
	if err := unix.Sethostname([]byte(Hostname)); err != nil {
		return fmt.Errorf("set the name of the machine: %w", err)
	}
	// There is no DNS server, but kubelet requires a configuration, which may be a link into /run.
	return errors.Join(replace("/etc/resolv.conf", nil), SetHosts(nil))
}

// SetHosts writes /etc/hosts, because the sandbox has no DNS server. The map contains a host name for each IP address.
func SetHosts(hostnames map[string]string) error {
	text := bytes.NewBufferString("127.0.0.1 localhost\n" + Address + " " + Hostname + "\n")
	for address, name := range hostnames {
		_, _ = fmt.Fprintln(text, address, name)
	}
	return replace("/etc/hosts", text.Bytes())
}

// replace replaces a file atomically, because other processes read it.
func replace(path string, content []byte) error {
	next := path + ".e2e"
	if err := os.WriteFile(next, content, 0o644); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

// connect creates a network interface with an address and a default route. It is one end of a veth pair, because some
// kernels have no dummy device.
func connect(ctx context.Context, shell string) error {
	for _, command := range []string{
		"link set lo up",
		"link add eth0 type veth",
		"link set veth0 up",
		"link set eth0 up",
		"addr add " + Address + "/24 dev eth0",
		"route add default via " + gateway + " dev eth0",
	} {
		args := append([]string{"ip"}, strings.Fields(command)...)
		if out, err := exec.CommandContext(ctx, shell, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", command, err, bytes.TrimSpace(out))
		}
	}
	for _, setting := range []string{"ipv4/ip_forward", "bridge/bridge-nf-call-iptables"} {
		path := "/proc/sys/net/" + setting
		if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
			return fmt.Errorf("set a parameter of the network: %w", err)
		}
	}
	return nil
}

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s %s: %w", kind, target, err)
	}
	return nil
}
