package dev

import "net/http"

func (p *platform) page() http.Handler {
	return http.RedirectHandler("/v1/openapi.yaml", http.StatusFound)
}
