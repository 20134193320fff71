// Addresses are relative to the page, so they hold under any path prefix of a proxy.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // It would be asked of a server of Swagger's.
  validatorUrl: null,
});
