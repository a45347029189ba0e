// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// A dashboard that does no more than a test needs. Its path names a kind and an object:
// /deployments/web?namespace=demo.
"use strict";

const byId = (id) => document.getElementById(id);
const [, resource, name] = location.pathname.split("/");
const query = new URLSearchParams(location.search);
const scope = "?namespace=" + query.get("namespace");
const objects = "/clusters/host/resources/" + resource;
let challenge = "";

window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.blockedURI));

function call(method, path, body, header = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, "/api/v1" + path);
    const token = sessionStorage.getItem("token");
    if (token) request.setRequestHeader("Authorization", "Bearer " + token);
    request.setRequestHeader("Content-Type", "application/json");
    for (const [key, value] of Object.entries(header)) request.setRequestHeader(key, value);
    request.onload = () => {
      const { code, message, data } = JSON.parse(request.responseText);
      say(code + " " + message);
      if (code === 0) resolve(data);
      else reject(Object.assign(new Error(message), { code, data }));
    };
    request.onerror = () => reject(new Error("no answer"));
    request.send(body === undefined ? null : JSON.stringify(body));
  });
}

function say(text) {
  byId("status").textContent = text;
}

function on(id, event, handle) {
  byId(id).addEventListener(event, (e) => {
    e.preventDefault();
    handle().catch(report);
  });
}

function enter(data) {
  sessionStorage.setItem("token", data.accessToken);
  document.body.dataset.user = data.user.username;
  return show();
}

on("login", "submit", async () => {
  if (challenge) {
    return enter(await call("POST", "/auth/2fa/verify", { tempToken: challenge, code: byId("code").value }));
  }
  try {
    await enter(await call("POST", "/auth/login", {
      username: byId("username").value, password: byId("password").value, provider: "local",
    }));
  } catch (error) {
    if (error.code !== 40102) throw error;
    challenge = error.data.tempToken;
    document.body.dataset.challenge = "due";
  }
});

// The image comes from another site, as that of other dashboards does.
on("setup", "click", async () => {
  const made = await call("POST", "/auth/2fa/setup", {});
  byId("secret").textContent = made.secret;
  byId("qr").src = "https://qr.example.com/?data=" + encodeURIComponent(made.otpauthUrl);
});

on("enable", "click", async () => {
  await call("POST", "/auth/2fa/enable", { code: byId("first-code").value });
  sessionStorage.clear();
  document.body.dataset.enabled = "yes";
});

async function show() {
  if (!resource) return;
  const items = await call("GET", objects + scope);
  byId("list").replaceChildren(...items.map((item) => entry(item.metadata.name,
    button("star", () => toggleFavorite(item.metadata.name)))));
  await showFavorites();
  if (!name) return;
  byId("manifest").value = JSON.stringify(await call("GET", objects + "/" + name + scope), null, 2);
  const other = query.get("compare");
  const reference = (of) => ({ cluster: "host", namespace: query.get("namespace"), resource, name: of });
  const both = await call("POST", "/compare", { source: reference(name), target: reference(other) });
  byId("compared").textContent = both.sourceYaml + "---\n" + both.targetYaml;
  await showUsers();
}

async function showUsers() {
  const users = await call("GET", "/users");
  byId("user-list").replaceChildren(...users.map((user) => entry(user.username + " " + user.role)));
}

async function toggleFavorite(resourceName) {
  const namespace = query.get("namespace");
  await call("POST", "/favorites/toggle", { clusterId: "host", namespace, resourceType: resource, resourceName });
  await showFavorites();
}

async function showFavorites() {
  const favorites = await call("GET", "/favorites");
  byId("favorites").replaceChildren(...favorites.map((favorite, at) => entry(favorite.displayName,
    button("up", () => moveUp(favorites, at)))));
}

async function moveUp(favorites, at) {
  const orderedIds = favorites.map((favorite) => favorite.id);
  orderedIds.splice(at - 1, 0, ...orderedIds.splice(at, 1));
  await call("PUT", "/favorites/reorder", { orderedIds });
  await showFavorites();
}

function button(text, handle) {
  const made = document.createElement("button");
  made.textContent = text;
  made.addEventListener("click", () => handle().catch(report));
  return made;
}

function entry(text, ...buttons) {
  const item = document.createElement("li");
  item.dataset.name = text;
  item.append(text, ...buttons);
  return item;
}

function report(error) {
  say((error.code ?? "") + " " + error.message);
}

on("try", "click", async () => {
  const path = objects + "/" + name + "/dry-run" + scope;
  const result = await call("PUT", path, JSON.parse(byId("manifest").value));
  byId("diff").textContent = result.valid ? result.diff.unified : result.errors.join("\n");
});

on("apply", "click", async () => {
  await call("PUT", objects + "/" + name + scope, JSON.parse(byId("manifest").value));
  document.body.dataset.applied = "yes";
});

on("users", "submit", async () => {
  await call("POST", "/users", {
    username: byId("new-user").value, password: byId("new-password").value, role: "viewer",
  }, { "X-KubeVision-TOTP": byId("fresh-code").value });
  await showUsers();
});

if (sessionStorage.getItem("token")) show();
