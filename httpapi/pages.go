package httpapi

import (
	_ "embed"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// openAPIDocument says in OpenAPI 3.1 what API.md says; a test holds it to the routes.
//
//go:embed openapi.json
var openAPIDocument []byte

//go:embed dashboard.html
var dashboardPage []byte

func (c *call) openAPI() error {
	c.ctx.Response.Header.SetContentTypeBytes(typeJSON)
	c.ctx.Response.SetBodyRaw(openAPIDocument)
	return nil
}

// dashboard answers "/": a page that shows /cluster/status as it changes. It
// loads nothing from elsewhere, and is not allowed to.
func (c *call) dashboard() error {
	h := &c.ctx.Response.Header
	h.SetContentType("text/html; charset=utf-8")
	h.SetCanonical(headerNoSniff, valueNoSniff)
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'")
	c.ctx.Response.SetBodyRaw(dashboardPage)
	return nil
}

// metricsHandler answers /metrics from the configured registry.
func (s *Server) metricsHandler() func(*call) error {
	serve := fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{}))
	return func(c *call) error {
		serve(c.ctx)
		if code := c.ctx.Response.StatusCode(); code != fasthttp.StatusOK {
			c.s.cfg.Logger.Warn("metrics incomplete", "request_id", string(c.id), "status", code)
		}
		return nil
	}
}
