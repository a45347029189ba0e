// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

import type { components, paths } from "./schema.js";

type Root = "/apis/dashboard.kubevision.io/v1alpha1";
type ModelPrefix = "io.kubevision.dashboard.v1alpha1.";
type ModelName = keyof components["schemas"] extends infer K
  ? K extends `${ModelPrefix}${infer Name}`
    ? Name
    : never
  : never;

/** Model is a type of the API by its name, such as Model<"Login">. */
export type Model<Name extends ModelName> = components["schemas"][`${ModelPrefix}${Name}`];

/** Meta contains information about a response. */
export type Meta = Model<"Meta">;

/** KubernetesObject is an object of a cluster. Its other fields depend on its kind. */
export type KubernetesObject = Model<"Object">;

export type Method = "get" | "post" | "put" | "patch" | "delete";

type Operation<M extends Method, P extends string> = `${Root}${P}` extends infer K
  ? K extends keyof paths
    ? Exclude<paths[K][M], undefined>
    : never
  : never;

type Path = keyof paths extends infer K ? (K extends `${Root}${infer P}` ? P : never) : never;

/** PathOf is every path that has the method. Paths are relative to the base of the API. */
export type PathOf<M extends Method> = { [P in Path]: [Operation<M, P>] extends [never] ? never : P }[Path];

type Given<T> = Exclude<T, undefined>;
type None<Name extends string> = { [K in Name]?: never };

type PathOption<O> = O extends { parameters: { path: infer T } } ? { path: T } : None<"path">;

type QueryOption<O> = O extends { parameters: { query?: infer T } }
  ? [Given<T>] extends [never]
    ? None<"query">
    : { query?: Given<T> }
  : None<"query">;

type BodyOption<O> = O extends { requestBody: { content: infer C } }
  ? Content<C>
  : O extends { requestBody?: infer T }
    ? [Given<T>] extends [never]
      ? None<"body" | "contentType">
      : Given<T> extends { content: infer C }
        ? Partial<Content<C>>
        : never
    : None<"body" | "contentType">;

/** Content is a body, with its media type if that is not JSON. */
type Content<C> = "application/json" extends keyof C
  ? { body: C["application/json"]; contentType?: never }
  : { [T in keyof C]: { body: C[T]; contentType: T } }[keyof C];

/** CallOptions contains the options of any request. */
export interface CallOptions {
  /** signal aborts the request, and its waiting for a refresh, a code or a pause. */
  signal?: AbortSignal | undefined;
  /** code is a fresh code of the caller's second factor. */
  code?: string | undefined;
}

/** Options contains the options of a request to a path. */
export type Options<M extends Method, P extends PathOf<M>> = CallOptions &
  PathOption<Operation<M, P>> &
  QueryOption<Operation<M, P>> &
  BodyOption<Operation<M, P>>;

/** Arguments contains the options, which may be omitted if none of them is required. */
export type Arguments<M extends Method, P extends PathOf<M>> =
  {} extends Options<M, P> ? [options?: Options<M, P>] : [options: Options<M, P>];

type Envelope<O> = O extends { responses: { 200: { content: { "application/json": infer E } } } } ? E : never;

/** Data is the type of the data of a response with code 0. */
export type Data<M extends Method, P extends PathOf<M>> =
  Envelope<Operation<M, P>> extends { data: infer D }
    ? Record<string, unknown> extends D
      ? D
      : Exclude<D, null>
    : never;

/** Answer is the result of a successful request. */
export interface Answer<T> {
  data: T;
  meta: Meta;
}

/** ListPath is every path whose response is a list in pages. */
export type ListPath = {
  [P in PathOf<"get">]: Options<"get", P> extends { query?: infer T }
    ? Paged<Given<T>> extends true
      ? P
      : never
    : never;
}[PathOf<"get">];

type Paged<Query> = [Query] extends [never] ? false : "continue" extends keyof Query ? true : false;

/** Item is one element of a list. */
export type Item<P extends ListPath> = Data<"get", P> extends readonly (infer T)[] ? T : never;
