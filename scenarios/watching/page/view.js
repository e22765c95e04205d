// What NiceGUI knows of a page: it takes messages, and tells the server what a user wants.
import { open } from "foretell-watch";

export default {
  template: '<main class="watch"></main>',
  props: { kind: String },
  mounted() {
    this.page = open(this.kind, this.$el, (name, value) => this.$emit(name, value));
    this.$emit("ready");
  },
  unmounted() {
    this.page?.close?.();
  },
  methods: {
    take(message) {
      this.page.take(message);
    },
  },
};
