// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"net/http"
	"path"
	"regexp"
	"strings"
)

// contentPolicy is the Content-Security-Policy of all files. It allows only the server's own origin. Styles may be
// inline, because applications and terminals set style attributes.
const contentPolicy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; " +
	"form-action 'self'; frame-ancestors 'none'"

// setPolicy sets the security headers of a response.
func setPolicy(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}

// hashSuffix matches the end of a file name in which a bundler has put a hash of the content. The match consists of a
// separator, the hash and the file extensions. The hash has eight characters, or from 9 to 64 hexadecimal digits.
var hashSuffix = regexp.MustCompile(`[-.]([A-Za-z0-9_-]{8}|[0-9a-f]{9,64})(\.[a-z0-9]+)+$`)

// hasHashedName returns true if the file name appears to contain a hash of the content. Browsers may then cache the
// file forever. Words and dates do not count as hashes.
func hasHashedName(name string) bool {
	found := hashSuffix.FindStringSubmatch(path.Base(name))
	if found == nil {
		return false
	}
	const digits, lower, capitals = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	// A date has no letter. A word has neither a digit nor, after its first character, a capital letter.
	return strings.ContainsAny(found[1], lower+capitals) && strings.ContainsAny(found[1][1:], digits+capitals)
}

// contentType returns the media type for a file name. It does not use the MIME tables of the operating system.
func contentType(name string) string { //nolint:gocyclo // a table
	switch strings.ToLower(path.Ext(name)) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".avif":
		return "image/avif"
	case ".ico":
		return "image/x-icon"
	case ".woff":
		return "font/woff"
	case ".woff2":
		return "font/woff2"
	case ".ttf":
		return "font/ttf"
	case ".wasm":
		return "application/wasm"
	default:
		return "application/octet-stream"
	}
}
