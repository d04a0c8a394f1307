package httpapi

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the edge's own. Labels are bounded: routes as they are written in
// routes.go, their methods, status classes; never a path.
type metrics struct {
	requests           *prometheus.CounterVec
	duration           *prometheus.HistogramVec
	bytesIn, bytesOut  prometheus.Counter
	refusedConnections *prometheus.CounterVec
	refusedRequests    *prometheus.CounterVec
	cutResponses       prometheus.Counter
}

var statusClasses = [...]string{"", "1xx", "2xx", "3xx", "4xx", "5xx"}

func newMetrics(reg *prometheus.Registry) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tiercel_http_requests_total", Help: "Requests answered, by route, method and status class.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tiercel_http_request_duration_seconds", Help: "Time from the header to the last byte handed to the connection.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route", "method"}),
		bytesIn: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tiercel_http_received_bytes_total", Help: "Bytes read from clients, headers included.",
		}),
		bytesOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tiercel_http_sent_bytes_total", Help: "Bytes written to clients, headers included.",
		}),
		refusedConnections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tiercel_http_refused_connections_total", Help: "Connections beyond a limit, by limit: total or address.",
		}, []string{"limit"}),
		cutResponses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tiercel_http_cut_responses_total", Help: "Responses that ended before their declared length, whoever was the cause.",
		}),
	}
	m.refusedRequests = newRefusedRequests()
	reg.MustRegister(m.requests, m.duration, m.bytesIn, m.bytesOut, m.refusedConnections, m.refusedRequests, m.cutResponses)
	return m
}

// gauges registers what is counted elsewhere and read on demand.
func (m *metrics) gauges(reg *prometheus.Registry, inFlight, connections func() float64) {
	reg.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tiercel_http_requests_in_flight", Help: "Requests under way, streamed responses included.",
		}, inFlight),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tiercel_http_open_connections", Help: "Connections open.",
		}, connections),
	)
}

// routeMetrics are the metrics of one route and method, found once.
type routeMetrics struct {
	byClass  [len(statusClasses)]prometheus.Counter
	duration prometheus.Observer
}

func (m *metrics) route(route, method string) *routeMetrics {
	r := &routeMetrics{duration: m.duration.WithLabelValues(route, method)}
	for class := 1; class < len(statusClasses); class++ {
		r.byClass[class] = m.requests.WithLabelValues(route, method, statusClasses[class])
	}
	return r
}

// observe counts one answered request.
func (r *routeMetrics) observe(status int, took time.Duration) {
	if class := status / 100; class >= 1 && class < len(statusClasses) {
		r.byClass[class].Inc()
	}
	r.duration.Observe(took.Seconds())
}
