// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Some dashboards request the QR code of a second factor from another site, which would learn the secret. The content
// security policy blocks these requests. This script replaces the missing images by the QR code of the server.
(() => {
  "use strict";

  let image = "";

  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    if (new URL(url, location.href).pathname.endsWith("/auth/2fa/setup")) {
      this.addEventListener("load", () => remember(this.response));
    }
    return open.call(this, method, url, ...rest);
  };

  function remember(answer) {
    try {
      image = (typeof answer === "string" ? JSON.parse(answer) : answer).data.qrCode;
    } catch {
      image = "";
    }
  }

  // Error events of images do not bubble, so the listener is registered for the capture phase.
  document.addEventListener("error", (event) => {
    const target = event.target;
    if (image && target instanceof HTMLImageElement && /otpauth(:|%3a)/i.test(target.src)) {
      target.src = image;
    }
  }, true);
})();
