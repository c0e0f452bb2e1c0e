const view = { title: "Orders", orders: [{ item: "bread", amount: 2 }, { item: "salt", amount: 1 }] };
const template = "<h1>{{title}}</h1><ul>{{#orders}}<li>{{amount}} × {{item}}</li>{{/orders}}</ul>";

if (typeof document !== "undefined") {
  document.getElementById("app").innerHTML = Mustache.render(template, view);
}
