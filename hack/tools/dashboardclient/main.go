package main

import _ "github.com/oapi-codegen/runtime"

func main() {}
