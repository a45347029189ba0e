// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

// programsVariable is an environment variable with the path of a folder. The folder contains KubeVision programs that
// are already built.
const programsVariable = "KUBEVISION_PROGRAMS"

// restartPause is the time between the exit of a program and its next start.
const restartPause = time.Second

// suspendTimeout is the maximum duration of the function suspend. The function deletes KubeVision's admission policies
// and APIServices before the cluster stops.
const suspendTimeout = 10 * time.Second

// foreground starts the cluster and KubeVision, and waits until ctx ends. It returns an error if the start fails or
// a program of the cluster exits.
func foreground(ctx context.Context, root string, files state, wanted settings, out io.Writer) (err error) {
	release, err := files.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.clear(), release()) }()
	if err := files.clear(); err != nil {
		return err
	}
	if err := files.write(pidFile, strconv.Itoa(os.Getpid())+"\n"); err != nil {
		return err
	}
	steps := newProgress(out)
	err = serve(ctx, root, files, wanted, steps)
	if ctx.Err() != nil {
		// An error after a signal is a consequence of the signal and is ignored.
		steps.say("stopped")
		return nil
	}
	return err
}

func serve(ctx context.Context, root string, files state, wanted settings, steps *progress) error {
	if err := checkPorts(ctx, wanted); err != nil {
		return err
	}
	assets, err := localcluster.Assets(ctx, steps)
	if err != nil {
		return err
	}
	programs, err := build(ctx, root, files, steps)
	if err != nil {
		return err
	}
	if wanted.fresh {
		if err := files.forget(); err != nil {
			return err
		}
	}
	if files.kept() {
		steps.say("continuing with the data of the last run; make run ARGS=--fresh discards it")
	}
	cluster, err := localcluster.Start(ctx, localcluster.Options{
		Assets:        assets,
		Dir:           files.path(clusterDir),
		Keep:          files.kept(),
		APIServerPort: wanted.kubePort,
		Log:           steps,
	})
	if err != nil {
		return err
	}
	member, err := startMember(ctx, assets, files, wanted, steps)
	if err == nil {
		err = use(ctx, root, programs, files, wanted, cluster, member, steps)
	}
	steps.say("stopping ...")
	if files.kept() {
		err = errors.Join(err, suspend(context.WithoutCancel(ctx), cluster))
	}
	return errors.Join(err, cluster.Stop(), member.Stop())
}

// suspend deletes KubeVision's admission policies and APIServices before kube-apiserver stops. The next start installs
// them again. A start of kube-apiserver with the old objects would cause two delays:
//   - kube-apiserver would look up the parameter kinds of the admission policies before the kinds exist. It would
//     repeat the lookup only after 30 seconds.
//   - kube-apiserver would check the APIServices with increasing pauses until KubeVision is available.
func suspend(ctx context.Context, cluster *localcluster.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, suspendTimeout)
	defer cancel()
	_, err := cluster.Kubectl(ctx, "delete", "--ignore-not-found", "--selector=app.kubernetes.io/part-of=kubevision",
		"validatingadmissionpolicybindings,validatingadmissionpolicies,apiservices")
	return err
}

// startMember starts the second cluster if the settings request one. Otherwise, it returns nil.
func startMember(
	ctx context.Context, assets string, files state, wanted settings, steps *progress,
) (*localcluster.Cluster, error) {
	if !wanted.member {
		return nil, nil //nolint:nilnil // no second cluster is wanted
	}
	steps.say("starting the second cluster")
	member, err := localcluster.Start(ctx, localcluster.Options{
		Assets:        assets,
		Dir:           files.path(memberDir),
		Keep:          files.kept(),
		APIServerPort: wanted.memberPort,
		Log:           steps,
	})
	if err != nil {
		return nil, err
	}
	return member, localcluster.WriteKubeconfig(member.Config(), files.path(memberFile))
}

// use installs and starts KubeVision in the cluster. It then waits until ctx ends or a program of the cluster exits.
func use(
	ctx context.Context, root, programs string, files state, wanted settings, cluster, member *localcluster.Cluster,
	steps *progress,
) error {
	if err := cluster.RemoveNodes(ctx, wanted.nodes); err != nil {
		return err
	}
	if wanted.nodes > 0 {
		if err := cluster.StartNodes(ctx, wanted.nodes); err != nil {
			return err
		}
		stopLogs, err := writeLogs(ctx, cluster)
		if err != nil {
			return err
		}
		defer stopLogs()
	}
	var arguments []string
	if wanted.dashboardDir != "" {
		arguments = append(arguments, "--dashboard-dir="+wanted.dashboardDir)
	}
	vision, err := cluster.StartKubeVision(ctx, localcluster.KubeVisionOptions{
		APIServerArgs: arguments,
		BinDir:        programs,
		ConfigDir:     filepath.Join(root, "config"),
		Port:          wanted.port,
		// Scripts log in with the stored password. Without this flag, it would only allow a change of the password.
		ControllerManagerArgs: []string{"--bootstrap-admin-keeps-password"},
	})
	if err != nil {
		return err
	}
	if err := publish(ctx, files, cluster, vision); err != nil {
		return err
	}
	// By default, kube-apiserver rejects requests without credentials, so users could only log in at
	// kubevision-apiserver directly.
	if err := cluster.Apply(ctx, filepath.Join(root, "config", "anonymous")); err != nil {
		return err
	}
	if !files.kept() {
		if err := applySamples(ctx, root, files, wanted, cluster, steps); err != nil {
			return err
		}
		if err := files.keep(); err != nil {
			return err
		}
	}
	steps.say("ready")
	if _, err := io.WriteString(steps.out, nextSteps(vision.Endpoint(), wanted.nodes, member != nil)); err != nil {
		return fmt.Errorf("print the next steps: %w", err)
	}
	// This file is last: a process that waits for it finds everything ready.
	if err := files.write(endpointFile, vision.Endpoint()+"\n"); err != nil {
		return err
	}
	return keepRunning(ctx, cluster, member, vision, steps)
}

// keepRunning restarts KubeVision's programs after they exit, as a kubelet does. It returns an error if any other
// program exits, and nil when ctx ends.
func keepRunning(
	ctx context.Context, cluster, member *localcluster.Cluster, vision *localcluster.KubeVision, steps *progress,
) error {
	restarts := newRestarts()
	for {
		select {
		case <-ctx.Done():
			return nil
		case exit := <-member.Exits():
			return exit
		case exit := <-cluster.Exits():
			if exit.Program != vision.ControllerManager() && exit.Program != vision.APIServer().Program {
				return exit
			}
			steps.say("%s ended (%s); starting it again", exit.Program.Name(), exit.Status)
			restarts.schedule(exit.Program)
		case program := <-restarts.due:
			restarts.start(ctx, program, steps)
		}
	}
}

// restarts holds the programs that are scheduled for a restart.
type restarts struct {
	due     chan *localcluster.Program
	pending map[*localcluster.Program]bool
}

func newRestarts() *restarts {
	return &restarts{due: make(chan *localcluster.Program, 2), pending: map[*localcluster.Program]bool{}}
}

// schedule sends a program to r.due after restartPause. It does nothing if the program is already scheduled.
func (r *restarts) schedule(program *localcluster.Program) {
	if !r.pending[program] {
		r.pending[program] = true
		time.AfterFunc(restartPause, func() { r.due <- program })
	}
}

// start starts a program. If the start fails, for example because a user has removed a part of the installation, start
// schedules another attempt.
func (r *restarts) start(ctx context.Context, program *localcluster.Program, steps *progress) {
	delete(r.pending, program)
	if program.PID() != 0 {
		return
	}
	if err := program.Start(ctx); err != nil {
		r.schedule(program)
		return
	}
	steps.say("%s is ready again", program.Name())
}

func checkPorts(ctx context.Context, wanted settings) error {
	type flagged struct {
		flag   string
		number int
	}
	ports := []flagged{{"port", wanted.port}, {"kube-port", wanted.kubePort}}
	if wanted.member {
		ports = append(ports, flagged{"member-port", wanted.memberPort})
	}
	for _, port := range ports {
		err := localcluster.CheckPort(ctx, port.number)
		if errors.Is(err, localcluster.ErrPortTaken) {
			return fmt.Errorf("%w; choose another one with: make run ARGS=--%s=%d", err, port.flag, port.number+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// build returns the folder of the two KubeVision programs. It builds the programs unless programsVariable is set.
func build(ctx context.Context, root string, files state, steps *progress) (string, error) {
	bin := files.path(binDir)
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return "", fmt.Errorf("create the folder of the programs: %w", err)
	}
	if programs := os.Getenv(programsVariable); programs != "" {
		return programs, nil
	}
	steps.say("building KubeVision; the first time takes some minutes")
	folder := bin + string(filepath.Separator)
	// Go stores the commit in the programs, for /version.
	//nolint:gosec // the path is the program's own
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", folder, "./cmd/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build KubeVision: %w\n%s", err, strings.TrimSpace(string(output)))
	}
	return bin, nil
}

func nextSteps(endpoint string, nodes int, member bool) string {
	pods := "No containers run: the nodes are simulated. A shell in a Pod is a shell on this machine."
	if nodes == 0 {
		pods = "Pods stay Pending: the cluster has no nodes."
	}
	text := fmt.Sprintf(`
KubeVision runs at %[1]s. From the root of the repository:

KUBECONFIG=%[2]s/kubeconfig %[2]s/bin/kubectl get kubevisionusers
TOKEN=$(curl -fsS --cacert %[2]s/ca.crt -H 'Content-Type: application/json' -d "{\"username\":\"alice\",\"password\":\"$(cat %[2]s/alice-password)\"}" %[1]s/api/v1/auth/login | sed -n 's/.*"accessToken": *"\([^"]*\)".*/\1/p')
curl -fsS --cacert %[2]s/ca.crt -H "Authorization: Bearer $TOKEN" %[1]s/api/v1/clusters/local/namespaces/demo/resources/pods

The password of "admin" is in %[2]s/admin-password. %[4]s
Logs are in %[2]s/%[3]s/logs. To stop: make stop. The next "make run" continues with the same data.
`, endpoint, stateDir, clusterDir, pods)
	if member {
		text += fmt.Sprintf("The kubeconfig of the second cluster is %s/%s; its logs are in %s/%s/logs.\n", stateDir,
			memberFile, stateDir, memberDir)
	}
	return text
}
