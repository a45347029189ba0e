// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package environment provides a control plane with an installation of KubeVision. All tests of a package share both.
package environment

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// startTimeout bounds the start of the control plane and of KubeVision, including the build of the programs.
const startTimeout = 15 * time.Minute

// noHostCluster is a flag of kubevision-controller-manager. With this flag, the program does not register the host
// cluster. The tests register the host cluster themselves.
const noHostCluster = "--bootstrap-cluster="

// Environment is a control plane with an installation of KubeVision.
type Environment struct {
	// Cluster is the control plane.
	Cluster *localcluster.Cluster
	// KubeVision is the installation of KubeVision in the control plane.
	KubeVision *localcluster.KubeVision
	// Client is a client with the rights of a cluster administrator.
	Client client.Client
	// Programs is a client that impersonates both a ServiceAccount of KubeVision and the group system:masters.
	// Admission policies allow only the ServiceAccounts of KubeVision to write sessions, credentials and statuses. The
	// group gives the client all rights.
	Programs client.Client

	dir      string
	bin      string
	replica  string
	mu       sync.Mutex
	clusters []*localcluster.Cluster
}

// StartCluster starts another control plane, without KubeVision. The control plane runs until all tests of the package
// have ended.
func (e *Environment) StartCluster(ctx context.Context) (*localcluster.Cluster, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	dir := filepath.Join(e.dir, "cluster-"+strconv.Itoa(len(e.clusters)+2))
	c, err := localcluster.Start(ctx, localcluster.Options{Dir: dir, Log: os.Stderr})
	if err != nil {
		return nil, fmt.Errorf("starting another cluster: %w", err)
	}
	e.clusters = append(e.clusters, c)
	return c, nil
}

// Install installs KubeVision in another control plane, and starts the programs of KubeVision.
func (e *Environment) Install(ctx context.Context, c *localcluster.Cluster) (*localcluster.KubeVision, error) {
	kubevision, err := c.StartKubeVision(ctx, localcluster.KubeVisionOptions{
		BinDir: e.bin, ControllerManagerArgs: []string{noHostCluster},
	})
	if err != nil {
		return nil, fmt.Errorf("starting another KubeVision: %w", err)
	}
	return kubevision, nil
}

// StartReplica starts another kubevision-apiserver. The program has the race detector if the Options of Main enable it.
func (e *Environment) StartReplica(ctx context.Context) (*localcluster.APIServer, error) {
	replica, err := e.KubeVision.StartAPIServerOf(ctx, e.replica)
	if err != nil {
		return nil, fmt.Errorf("starting another replica: %w", err)
	}
	return replica, nil
}

// Administrator returns a client of kubevision-apiserver with the certificate of a cluster administrator.
func (e *Environment) Administrator(tb testing.TB) *wire.Client {
	tb.Helper()
	config := e.Cluster.Config()
	certificate, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := wire.New(e.KubeVision.Endpoint(), e.KubeVision.CAPEM(), certificate)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func (e *Environment) stopClusters() error {
	var errs []error
	for _, c := range e.clusters {
		errs = append(errs, c.Stop())
	}
	return errors.Join(errs...)
}

// Environment variables and folders for the programs of KubeVision that were built before the tests.
const (
	// programsVariable is the environment variable that contains the directory of the built programs. All test packages
	// can use this directory.
	programsVariable = "KUBEVISION_PROGRAMS"
	// raceFolder is the subfolder that contains the programs that are built with the race detector.
	raceFolder = "race"
	// racesVariable is the environment variable that enables the race detector in the programs of KubeVision, if it is
	// not empty. It does not enable the race detector in the tests.
	racesVariable = "KUBEVISION_DETECT_RACES"
)

// DetectsRaces returns true if the programs that Options selects are built with the race detector. This is enabled by
// the build flag -race of the tests, or by the environment variable KUBEVISION_DETECT_RACES. With -race, the tests are
// several times slower. Tests that only send requests therefore use the variable instead.
func DetectsRaces() bool { return raceEnabled || os.Getenv(racesVariable) != "" }

// Options are the options of Main.
type Options struct {
	// APIServerArgs are additional flags of kubevision-apiserver.
	APIServerArgs []string
	// DetectRaces lists the programs that run with the race detector. The list is ignored if the test run does not
	// enable the race detector. The race detector multiplies the processor time and the memory of a program.
	DetectRaces []string
	// DetectRacesInReplicas enables the race detector only in the kubevision-apiserver programs that StartReplica
	// starts.
	DetectRacesInReplicas bool
	// ElectLeader makes kubevision-controller-manager take part in leader election.
	ElectLeader bool
	// ConfineMemory limits the memory of the programs to the limits in config/.
	ConfineMemory bool
	// Stale breaks the watches of the read cache repeatedly. Most responses from the read cache are then stale.
	Stale bool
}

// Main starts an Environment, runs the tests of the package, and returns the exit code. Before the tests, Main passes
// the Environment to the function setUp. If the flag -short is set, Main runs no tests, because the tests need a
// control plane.
func Main(m *testing.M, options Options, setUp func(*Environment)) (code int) {
	flag.Parse()
	if testing.Short() {
		fmt.Fprintln(os.Stderr, "skipped: these tests need a control plane, and -short was given")
		return 0
	}
	options.ElectLeader = options.ElectLeader || slices.Contains(options.DetectRaces, ControllerManager)
	if !DetectsRaces() {
		options.DetectRaces, options.DetectRacesInReplicas = nil, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "kubevision-test-")
	if err != nil {
		return failed(err)
	}
	defer func() {
		if code == 0 { // the logs of a failed run are kept
			_ = os.RemoveAll(dir)
			return
		}
		fmt.Fprintln(os.Stderr, "logs are in", dir)
	}()
	return runIn(ctx, dir, m, options, setUp)
}

// runIn runs the tests of a package with an Environment whose files are in dir.
func runIn(
	ctx context.Context, dir string, m *testing.M, options Options, setUp func(*Environment),
) (code int) {
	programs, err := Programs(ctx, filepath.Join(dir, "bin"), options.DetectRaces...)
	if err != nil {
		return failed(err)
	}
	cluster, err := localcluster.Start(ctx, localcluster.Options{Dir: filepath.Join(dir, "cluster"), Log: os.Stderr})
	if err != nil {
		return failed(err)
	}
	defer func() {
		if err := cluster.Stop(); err != nil {
			code = max(code, failed(err))
		}
	}()
	e, err := install(ctx, cluster, localcluster.KubeVisionOptions{
		BinDir: programs, APIServerArgs: options.APIServerArgs, ControllerManagerArgs: controllerManagerArgs(options),
		ConfineMemory: options.ConfineMemory,
	})
	if err != nil {
		return failed(err)
	}
	e.dir, e.bin, e.replica = dir, programs, filepath.Join(programs, APIServer)
	if options.DetectRacesInReplicas {
		races, err := Programs(ctx, filepath.Join(dir, raceFolder), APIServer)
		if err != nil {
			return failed(err)
		}
		e.replica = filepath.Join(races, APIServer)
	}
	defer func() {
		if err := e.stopClusters(); err != nil {
			code = max(code, failed(err))
		}
	}()
	if options.Stale {
		stop, err := e.makeStale(ctx)
		if err != nil {
			return failed(err)
		}
		defer stop()
	}
	setUp(e)
	return m.Run()
}

// The names of KubeVision's programs.
const (
	// APIServer is the name of the API server of KubeVision.
	APIServer = "kubevision-apiserver"
	// ControllerManager is the name of the program that runs the controllers of KubeVision.
	ControllerManager = "kubevision-controller-manager"
)

// controllerManagerArgs returns the flags of kubevision-controller-manager. Without Options.ElectLeader, the flags
// disable leader election. With leader election on a busy machine, the program may fail to renew its lease, and exit.
func controllerManagerArgs(o Options) []string {
	if o.ElectLeader {
		return []string{noHostCluster}
	}
	return []string{noHostCluster, "--leader-elect=false"}
}

// Programs returns a directory with the programs of KubeVision. The programs in detectRaces have the race detector. If
// the programs were built before, and detectRaces is empty, Programs returns the directory of the built programs.
// Otherwise, it fills and returns dir.
func Programs(ctx context.Context, dir string, detectRaces ...string) (string, error) {
	built := os.Getenv(programsVariable)
	if built != "" && len(detectRaces) == 0 {
		return built, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("creating the folder of the programs: %w", err)
	}
	for _, name := range []string{APIServer, ControllerManager} {
		race := slices.Contains(detectRaces, name)
		if err := provide(ctx, built, dir, name, race); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// provide creates the file of a program in dir. If builtDir is an empty string, provide builds the program. Otherwise,
// the file is a link to the program in builtDir.
func provide(ctx context.Context, builtDir, dir, name string, race bool) error {
	program := filepath.Join(dir, name)
	if builtDir == "" {
		return build(ctx, program, name, race)
	}
	if race {
		builtDir = filepath.Join(builtDir, raceFolder)
	}
	if err := os.Symlink(filepath.Join(builtDir, name), program); err != nil {
		return fmt.Errorf("linking a program: %w", err)
	}
	return nil
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "error:", err)
	return 1
}

// build builds the program with the given name from the working tree, and writes the program to the path output.
func build(ctx context.Context, output, name string, race bool) error {
	root, err := localcluster.ModuleRoot()
	if err != nil {
		return err
	}
	args := []string{"build", "-o", output}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/"+name)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building KubeVision: %w\n%s", err, out)
	}
	return nil
}

func install(
	ctx context.Context, cluster *localcluster.Cluster, options localcluster.KubeVisionOptions,
) (*Environment, error) {
	log.SetLogger(klog.Background())
	// All tests use one address. The tests of the throttle start separate replicas.
	options.APIServerArgs = append(options.APIServerArgs, "--login-failures-per-address=1000000")
	kubevision, err := cluster.StartKubeVision(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting KubeVision: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), kubevisionv1alpha1.AddToScheme(scheme),
		rbacv1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building a scheme: %w", err)
	}
	admin, err := client.New(cluster.Config(), client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	programs, err := client.New(localcluster.KubeVisionConfig(cluster.Config()), client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("creating a client for the programs' account: %w", err)
	}
	return &Environment{Cluster: cluster, KubeVision: kubevision, Client: admin, Programs: programs}, nil
}
