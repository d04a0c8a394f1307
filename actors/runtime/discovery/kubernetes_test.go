package discovery

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// fakeKubernetes is the API server as far as the provider uses it. All tests run on
// one host and the provider takes its pod's name from there, so each node has a
// server of its own, for which that name is another pod.
type fakeKubernetes struct {
	t *testing.T

	mu       sync.Mutex
	pods     map[int]*v1.Pod
	watchers map[chan watch.Event]bool
}

func newFakeKubernetes(t *testing.T) *fakeKubernetes {
	k := &fakeKubernetes{t: t, pods: make(map[int]*v1.Pod), watchers: make(map[chan watch.Event]bool)}
	for i := range 3 {
		k.pods[i] = &v1.Pod{
			TypeMeta:   metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", i), Namespace: "ns", UID: types.UID(fmt.Sprint(i))},
			Status:     v1.PodStatus{Phase: v1.PodRunning, PodIP: "127.0.0.1", PodIPs: []v1.PodIP{{IP: "127.0.0.1"}}},
		}
	}
	return k
}

func (k *fakeKubernetes) address(pod int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { k.serve(w, r, pod) }))
	k.t.Cleanup(s.CloseClientConnections)
	return s.URL
}

// labels are those of a pod.
func (k *fakeKubernetes) labels(pod int) map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pods[pod].Labels
}

func (k *fakeKubernetes) serve(w http.ResponseWriter, r *http.Request, pod int) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Get("watch") != "":
		k.watch(w, r)
	case r.Method == http.MethodGet:
		k.mu.Lock()
		defer k.mu.Unlock()
		_ = json.NewEncoder(w).Encode(k.pods[pod]) // the client may be gone
	case r.Method == http.MethodPatch:
		var patch []struct {
			Path  string            `json:"path"`
			Value map[string]string `json:"value"`
		}
		if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || len(patch) != 1 || patch[0].Path != "/metadata/labels" {
			http.Error(w, "unexpected patch", http.StatusBadRequest)
			return
		}
		k.relabel(w, pod, patch[0].Value)
	default:
		http.NotFound(w, r)
	}
}

// relabel changes a pod's labels; a watch by label sees one that lost it as deleted.
func (k *fakeKubernetes) relabel(w http.ResponseWriter, pod int, labels map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	changed := k.pods[pod].DeepCopy()
	changed.Labels = labels
	k.pods[pod] = changed
	kind := watch.Modified
	if len(labels) == 0 {
		kind = watch.Deleted
	}
	for c := range k.watchers {
		c <- watch.Event{Type: kind, Object: changed}
	}
	_ = json.NewEncoder(w).Encode(changed) // the client may be gone
}

func (k *fakeKubernetes) watch(w http.ResponseWriter, r *http.Request) {
	key, value, _ := strings.Cut(r.URL.Query().Get("labelSelector"), "=")
	events := make(chan watch.Event, 100)
	k.mu.Lock()
	for _, p := range k.pods {
		if p.Labels[key] == value {
			events <- watch.Event{Type: watch.Added, Object: p}
		}
	}
	k.watchers[events] = true
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.watchers, events)
	}()
	w.WriteHeader(http.StatusOK)
	for {
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case e := <-events:
			raw, err := json.Marshal(e.Object)
			if err == nil {
				err = json.NewEncoder(w).Encode(metav1.WatchEvent{Type: string(e.Type), Object: runtime.RawExtension{Raw: raw}})
			}
			if err != nil {
				return
			}
		}
	}
}
